"""`python -m campaign_service api|relay|consumer`: one command per process."""

import typer

from campaign_service import bootstrap

app = typer.Typer(help="Campaign definitions, templates and lifecycle.", no_args_is_help=True)
app.command("api", help="Serve the HTTP API.")(bootstrap.run_api)
app.command("relay", help="Publish the outbox to Kafka.")(bootstrap.run_relay)
app.command("consumer", help="Handle events from Kafka.")(bootstrap.run_consumer)

if __name__ == "__main__":
    app()
