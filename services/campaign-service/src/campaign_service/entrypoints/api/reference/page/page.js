SwaggerUIBundle({
  url: "/api/v1/openapi.json",
  dom_id: "#reference",
  deepLinking: true,
  displayOperationId: true,
  displayRequestDuration: true,
  docExpansion: "list",
  defaultModelsExpandDepth: 0,
  filter: true,
  tryItOutEnabled: true,
  // The token stays in the page: nothing is written to the browser's storage.
  persistAuthorization: false,
  // The validator would be asked over the internet.
  validatorUrl: null,
});
