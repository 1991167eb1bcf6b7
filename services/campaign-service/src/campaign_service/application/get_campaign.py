"""Get a campaign."""

from campaign_service.application.ports import Campaigns
from campaign_service.domain.campaign import Campaign
from campaign_service.domain.errors import CampaignNotFound


async def get_campaign(org: str, campaign_id: str, *, campaigns: Campaigns) -> Campaign:
    """The campaign. Raises CampaignNotFound."""
    campaign = await campaigns.get(org, campaign_id)
    if campaign is None:
        raise CampaignNotFound
    return campaign
