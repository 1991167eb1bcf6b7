"""The one OpenAPI document of the API, made from the code of the four services."""
