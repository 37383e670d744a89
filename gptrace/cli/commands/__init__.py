"""The commands, each in a file of its name: parse, call one method of Session, return a CommandResult."""
