"""What self-supervision draws for single images and texts, before a batch is made."""
