"""The dialect of OpenAI's Videos API under /v1, translated to the requests and jobs of the other routes."""
