"""What a client of the statistics can get wrong.

ServiceError
├── CampaignNotFound        no such campaign in the caller's organisation, or a deleted one and no admin
├── ConversionNotFound      no such conversion in the caller's organisation
├── LinkNotFound            the token is not one of ours
└── InvalidParameter        a query parameter that statistics do not take, or not so
"""

from service_kit.errors import ServiceError


class CampaignNotFound(ServiceError):
    """There is no such campaign."""

    code = "NOT_FOUND"


class ConversionNotFound(ServiceError):
    """There is no such conversion."""

    code = "NOT_FOUND"


class LinkNotFound(ServiceError):
    """There is no such link."""

    code = "NOT_FOUND"


class InvalidParameter(ServiceError):
    """This query parameter is not valid."""

    code = "INVALID_PARAMETER"
