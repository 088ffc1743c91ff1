raise ImportError("No module named 'langchain'")
