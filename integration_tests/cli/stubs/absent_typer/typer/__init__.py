raise ModuleNotFoundError("No module named 'typer'", name="typer")
