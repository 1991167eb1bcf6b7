"""An audience rule as MongoDB's conditions: the same contacts that `AudienceRule.admits` admits.

Which index finds them: (org, segments, _id) for a union of segments, _id's own range for a whole
organisation, `testerOf` and `suppressedOf` (both sparse) for testers and for who is suppressed. Excluded
segments and filters are looked at in the contacts that the index has found.
"""

from service_kit.mongo.client import Document

from execution_service.domain.audience import AudienceRule, Between, Condition


def audience_query(
    org: str, rule: AudienceRule, *, testers_only: bool = False, suppressed: str | None = None
) -> Document:
    """Matches whom `rule` admits, and of them only testers, or only those suppressed for a code."""
    wanted: list[Document] = [_condition(condition) for condition in rule.conditions]
    if rule.excluded:
        wanted.append({"segments": {"$nin": list(rule.excluded)}})
    if suppressed is not None:
        found: Document = {"suppressedOf": {"$in": places(org, rule.segments)}, "suppression": suppressed}
        wanted += [{"tester": True}] if testers_only else []
    elif testers_only:
        found = {"testerOf": {"$in": places(org, rule.segments)}}
    elif rule.segments:
        found = {"org": org, "segments": {"$in": list(rule.segments)}}
    else:
        found = {"_id": whole_org(org)}
    return {**found, "$and": wanted} if wanted else found


def places(org: str, segments: tuple[str, ...]) -> list[str]:
    """`<org>/<segment>` for each, or `<org>/` for the whole organisation: segments' ids are never empty."""
    return [f"{org}/{segment}" for segment in segments or ("",)]


def whole_org(org: str, *, after_key: str = "") -> Document:
    """The range of the organisation's keys behind `after_key`; "0" is the character after "/"."""
    return {"$gt": max(after_key, f"{org}/"), "$lt": f"{org}0"}


def _condition(condition: Condition) -> Document:
    if isinstance(condition, Between):
        bounds = {"$gte": condition.least, "$lte": condition.most}
        return {condition.field: {name: bound for name, bound in bounds.items() if bound is not None}}
    return {condition.field: {"$in": list(condition.values)}}
