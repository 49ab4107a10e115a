"""The admin API, `/api/v1`: what people see and change on the page, for programs; described in OpenAPI."""
