"""Why a model gives an image and a text their score: heat maps, words, dimensions and bits."""
