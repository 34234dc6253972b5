const summary = new Table("summary", numbers.summary.columns.filter((column) => column !== "tensor"));
const activity = new Table("activity", numbers.activity.columns);

function draw() {
  const tensor = place("tensor").value;
  const measure = place("measure").value;
  const dash = (rule) => (rule === numbers.reference ? "dash" : "solid");
  const line = (rule) => ({ name: rule, line: { color: numbers.colours[rule], width: 1.5, dash: dash(rule) } });
  const others = numbers.rules.filter((rule) => rule !== numbers.reference);

  place("meaning").textContent = numbers.meanings[measure] ?? "";
  summary.show(numbers.summary.rows.filter((row) => row.tensor === tensor));
  const curves = numbers.rules
    .filter((rule) => numbers.curves[tensor][rule][measure].some((value) => value !== null))
    .map((rule) => ({ ...line(rule), mode: "lines+markers", marker: { size: 4 }, x: numbers.batches, y: numbers.curves[tensor][rule][measure] }));
  const named = { xaxis: { title: { text: "batch" } }, yaxis: { title: { text: numbers.titles[measure] ?? measure }, exponentformat: "power" } };
  Plotly.react("curves", curves, { ...LAYOUT, ...named, uirevision: measure }, OPTIONS);

  const middle = numbers.edges.slice(1).map((edge, i) => (edge + numbers.edges[i]) / 2);
  const histograms = others.map((rule) => {
    const counts = numbers.histograms[rule][tensor];
    const total = counts.reduce((a, b) => a + b, 0) * (numbers.edges[1] - numbers.edges[0]);
    return { ...line(rule), mode: "lines", x: middle, y: counts.map((count) => (count > 0 ? count / total : null)), line: { ...line(rule).line, shape: "hvh" } };
  });
  const axes = { xaxis: { title: { text: `deviation / r.m.s. of ${numbers.reference}` } }, yaxis: { title: { text: "density" }, type: "log", exponentformat: "power" } };
  Plotly.react("histogram", histograms, { ...LAYOUT, ...axes }, OPTIONS);

  const matrix = { type: "heatmap", x: numbers.rules, y: numbers.rules, z: numbers.cosines[tensor], zmin: -1, zmax: 1, colorscale: "RdBu", reversescale: true, texttemplate: "%{z:.3f}" };
  Plotly.react("cosines", [matrix], { margin: { t: 20, l: 150 }, yaxis: { autorange: "reversed" } }, OPTIONS);
}

place("about").textContent = numbers.about;
place("warnings").textContent = numbers.warnings;
options(place("tensor"), Object.keys(numbers.curves));
options(place("measure"), numbers.measures);
place("tensor").value = numbers.tensor;
activity.show(numbers.activity.rows);
draw();
