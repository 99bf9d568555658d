"""The Grafana dashboards as code: `python -m deploy.grafana.boards` writes them into deploy/grafana/dashboards/."""
