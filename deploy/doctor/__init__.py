"""`cinemo doctor`: looks at everything that the service stands on, and says what is wrong and how to fix it.

Runs in each image and looks at what can be seen from there: PyTorch and the model are in the workers' alone.
"""
