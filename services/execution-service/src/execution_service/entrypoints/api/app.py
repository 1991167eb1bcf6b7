"""The API process's app: every router of this service."""

from pathlib import Path

from fastapi import FastAPI
from service_kit.api.app import create_api
from service_kit.idempotency.once import Idempotency

from execution_service.adapters.mongo_executions import MongoExecutions
from execution_service.bootstrap import SERVICE, Wiring, import_contacts
from execution_service.bootstrap_progress import progress_parts
from execution_service.entrypoints.api.audience import Audience
from execution_service.entrypoints.api.bots import bots_router
from execution_service.entrypoints.api.campaign_audience import campaign_audience_router
from execution_service.entrypoints.api.contact_imports import IMPORT_PATH, imports_router
from execution_service.entrypoints.api.contacts import contacts_router
from execution_service.entrypoints.api.executions import executions_router
from execution_service.entrypoints.api.internal import internal_router
from execution_service.entrypoints.api.progress import progress_router
from execution_service.entrypoints.api.progress_stream import progress_stream_router
from execution_service.entrypoints.api.segments import segments_router
from execution_service.entrypoints.api.settings import settings_router
from execution_service.entrypoints.errors import STATUSES


def build_app(wiring: Wiring) -> FastAPI:
    """The app over `wiring`."""
    audience = Audience(
        contacts=wiring.contacts,
        segments=wiring.segments,
        bots=wiring.bots,
        marks=wiring.marks,
        outbox=wiring.outbox,
        measure=wiring.measure,
        bot_use=MongoExecutions(wiring.database),
        segment_use=wiring.campaigns,
        telegram=wiring.telegram,
        transactions=wiring.transactions,
        list_contacts=wiring.list_contacts,
        import_contacts=import_contacts(wiring),
        imports=wiring.imports,
        org_settings=wiring.org_settings,
        clock=wiring.clock,
    )
    settings, progress = wiring.execution_settings, progress_parts(wiring)
    return create_api(
        title=SERVICE,
        routers=[
            imports_router(audience),
            contacts_router(audience),
            segments_router(audience),
            bots_router(audience),
            settings_router(audience),
            progress_router(progress.show),
            progress_stream_router(progress.follow),
            executions_router(progress.list_executions),
            campaign_audience_router(wiring.show_audience),
        ],
        internal_routers=[
            internal_router(
                audience,
                progress.retried,
                wiring.forecast,
                token=settings.internal_token.get_secret_value(),
            )
        ],
        settings=settings,
        statuses=STATUSES,
        raw_paths=(IMPORT_PATH,),
        examples=Path(__file__).with_name("examples"),
        idempotency=Idempotency(wiring.request_keys, wiring.transactions, settings.idempotency_wait_seconds),
    )
