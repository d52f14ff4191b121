"""Pure authorization: schema and loader of the policy files, the engine, explanations."""
