"""Write the dashboards; `make dashboards` runs this."""

from deploy.grafana.boards.files import FOLDER, files

for name, text in files().items():
    (FOLDER / name).write_text(text, encoding="utf-8")
