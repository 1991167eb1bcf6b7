"""Page numbers in the query: out of range is 400."""

from typing import Annotated

from fastapi import Query

Page = Annotated[int, Query(ge=1, le=1_000_000, description="Page number.")]
Limit = Annotated[int, Query(ge=1, le=100, description="Items per page.")]
