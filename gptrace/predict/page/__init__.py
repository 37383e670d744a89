"""What the views of a page show beside the trace, measured on the model: `Session.page`."""
