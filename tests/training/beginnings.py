"""Everyday beginnings whose next word any reader of English knows: chosen before the model was trained."""

# Beginning → the next token. None was looked up in the text that the model is trained on.
BEGINNINGS = {
    "Once upon a": " time",
    "She opened the": " door",
    "I do not": " know",
    "In the middle of": " the",
    "He looked out of the": " window",
    "They lived happily ever": " after",
    "He shook his": " head",
    "She burst into": " tears",
    "What is the matter with": " you",
    "It was a beautiful": " day",
    "He could not believe his": " eyes",
    "The children ran down to": " the",
    "She put her arms around his": " neck",
    "He sat down at the": " table",
    "I am very glad to see": " you",
    "For the first": " time",
    "The old man and his": " wife",
    "He rose to his": " feet",
    "It was half past ten o'": "clock",
    "Thank you very": " much",
}
