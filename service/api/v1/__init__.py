"""The dialect of OpenAI's Videos API under /v1: a translation over the same requests, store and rules as the rest."""
