"""What an application can become. Targets see the model, never TOSCA."""
