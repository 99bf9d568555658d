// In the place of parts of Grafana that no panel shows: a component without content, such as an icon.
module.exports = () => null;
