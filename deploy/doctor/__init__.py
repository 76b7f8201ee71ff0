"""`cinemo doctor`: checks everything the service depends on, and reports what is wrong and how to fix it.

Runs in each image and checks what is available there: only the workers' image has PyTorch and the model.
"""
