raise ModuleNotFoundError("No module named 'rich'", name="rich")
