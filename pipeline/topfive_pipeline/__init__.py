"""The offline half of topfive: it imports, checks and measures models; the server never imports it."""
