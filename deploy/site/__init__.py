"""The site of `docs/`: the pages that are made from the code, and what the site generator is told.

`python -m deploy.site` writes the pages. They are committed, so that they can be read where there is no site; a test
holds each to what it is made from.
"""
