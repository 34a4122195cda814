"""What self-supervision draws for an image or a text on its own, before a batch is made."""
