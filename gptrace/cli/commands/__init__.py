"""The commands, each in a file of its name: parse, call one function of `gptrace.api`, return a reply."""
