raise ImportError("this command needs no model")
