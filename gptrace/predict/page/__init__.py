"""The data of the page's views beside the trace, measured on the model: `Session.page`."""
