// Draws one panel as Grafana does: with its components and its rules for fields, from the panel's JSON and the answers
// of Prometheus. Heatmaps are not drawn: Grafana has no component for them outside of its server.
import { createRoot } from "react-dom/client";
import {
  FieldConfigOptionsRegistry,
  FieldType,
  applyFieldOverrides,
  createTheme,
  dateTime,
  getFieldDisplayValues,
  identityOverrideProcessor,
  standardTransformers,
  standardTransformersRegistry,
  toDataFrame,
  transformDataFrame,
} from "@grafana/data";
import "uplot/dist/uPlot.min.css";
import { BigValue, PanelChrome, Table, ThemeContext, TimeSeries, VizRepeater } from "@grafana/ui";

const theme = createTheme({ colors: { mode: "dark" } });
const same = (text) => text;
const { filterFieldsByNameTransformer, organizeFieldsTransformer } = standardTransformers;
standardTransformersRegistry.setInit(() =>
  [filterFieldsByNameTransformer, organizeFieldsTransformer].map((transformation) => ({
    id: transformation.id,
    name: transformation.name,
    transformation,
  })),
);

// Options of fields, by the names that panels of ours use; in Grafana they come with the kinds of panels.
const registry = new FieldConfigOptionsRegistry(() => []);

function know({ defaults, overrides }) {
  const properties = overrides.flatMap((override) => override.properties.map((property) => property.id));
  const custom = [...Object.keys(defaults.custom ?? {}).map((name) => `custom.${name}`), ...properties];
  const standard = Object.keys(defaults).filter((name) => name !== "custom");
  for (const id of new Set([...standard, ...custom])) {
    const isCustom = id.startsWith("custom.");
    if (registry.getIfExists(id)) continue;
    registry.register({
      id,
      path: isCustom ? id.slice("custom.".length) : id,
      name: id,
      isCustom,
      process: identityOverrideProcessor,
      shouldApply: () => true,
    });
  }
}

// What is no number, such as the quantile of no requests, is no point.
const finite = ([, value]) => (Number.isFinite(+value) ? +value : null);

// A frame of each series of an answer to a range query, as Grafana's data source makes it.
function frames(targets, answers, step) {
  return targets.flatMap((target, index) =>
    answers[index].map(({ metric, values }) => {
      const legend = target.legendFormat.replace(/\{\{(\w+)\}\}/g, (_, label) => metric[label] ?? "");
      const config = { displayNameFromDS: legend === "__auto" ? target.expr : legend };
      return toDataFrame({
        refId: target.refId,
        fields: [
          {
            name: "Time",
            type: FieldType.time,
            values: values.map(([time]) => time * 1000),
            config: { interval: step * 1000 },
          },
          { name: "Value", type: FieldType.number, labels: metric, values: values.map(finite), config },
        ],
      });
    }),
  );
}

// One frame with a column for each label, as Grafana's data source makes it of an instant query in the format "table".
function rows(answer) {
  const labels = [...new Set(answer.flatMap(({ metric }) => Object.keys(metric)))];
  return [
    toDataFrame({
      fields: labels.map((name) => ({
        name,
        type: FieldType.string,
        values: answer.map(({ metric }) => metric[name] ?? ""),
      })),
    }),
  ];
}

function styled(panel, data) {
  know(panel.fieldConfig);
  return applyFieldOverrides({
    data,
    fieldConfig: panel.fieldConfig,
    fieldConfigRegistry: registry,
    replaceVariables: same,
    theme,
    timeZone: "utc",
  });
}

function Stat({ panel, data, width, height }) {
  const { options, fieldConfig } = panel;
  const values = () =>
    getFieldDisplayValues({
      data: styled(panel, data),
      fieldConfig,
      reduceOptions: options.reduceOptions,
      replaceVariables: same,
      sparkline: options.graphMode !== "none",
      theme,
      timeZone: "utc",
    });
  const draw = ({ value, width, height, alignmentFactors, count }) => (
    <BigValue
      value={value.display}
      count={count}
      sparkline={value.sparkline}
      colorMode={options.colorMode}
      graphMode={options.graphMode}
      justifyMode={options.justifyMode}
      textMode={options.textMode}
      alignmentFactors={alignmentFactors}
      theme={theme}
      width={width}
      height={height}
    />
  );
  return (
    <VizRepeater getValues={values} renderValue={draw} source={data} width={width} height={height} orientation="auto" />
  );
}

function Lines({ panel, data, width, height, range }) {
  const time = { from: dateTime(range[0] * 1000), to: dateTime(range[1] * 1000), raw: { from: "", to: "" } };
  return (
    <TimeSeries
      frames={styled(panel, data)}
      timeRange={time}
      timeZone="utc"
      width={width}
      height={height}
      legend={panel.options.legend}
      options={panel.options}
    />
  );
}

function Rows({ panel, data, width, height }) {
  const [frame] = styled(panel, data);
  return (
    <Table
      data={frame}
      width={width}
      height={height}
      initialSortBy={panel.options.sortBy}
      fieldConfig={panel.fieldConfig}
    />
  );
}

const kinds = { stat: Stat, timeseries: Lines, table: Rows };

// Draws `panel` at its place in the dashboard: `cell` is the width and the height of a cell of the grid in pixels,
// `answers` are those of its targets, `range` is the time of the graphs and `step` that between two points, in seconds.
window.draw = async (panel, answers, { cell, range, step }) => {
  const [width, height] = [panel.gridPos.w * cell[0] - 8, panel.gridPos.h * cell[1] - 8];
  const element = document.createElement("section");
  element.id = `panel-${panel.id}`;
  const [left, top] = [panel.gridPos.x * cell[0] + 4, panel.gridPos.y * cell[1] + 4];
  element.style = `left: ${left}px; top: ${top}px; width: ${width}px; height: ${height}px`;
  document.body.append(element);
  if (panel.type === "row") {
    element.textContent = panel.title;
    return;
  }
  const Kind = kinds[panel.type];
  const table = panel.type === "table";
  const data = table
    ? await new Promise((done) => transformDataFrame(panel.transformations, rows(answers[0])).subscribe(done))
    : frames(panel.targets, answers, step);
  createRoot(element).render(
    <ThemeContext.Provider value={theme}>
      <PanelChrome title={panel.title} description={panel.description} width={width} height={height}>
        {(width, height) => <Kind panel={panel} data={data} width={width} height={height} range={range} />}
      </PanelChrome>
    </ThemeContext.Provider>,
  );
};
