const table = new Table("cells", numbers.columns);
const FILTERS = ["task", "neuron", "rule"];

// The cells that the selections leave, and whose text has every word of the search.
function chosen() {
  const words = place("search").value.toLowerCase().split(/\s+/);
  return numbers.rows.filter(
    (row) =>
      FILTERS.every((name) => ["", row[name]].includes(place(name).value)) &&
      words.every((word) => Object.values(row).join(" ").toLowerCase().includes(word)),
  );
}

function scatter(id, measure, title, type) {
  const rules = [...new Set(numbers.rows.map((row) => row.rule))];
  const shown = chosen().filter((row) => !row.control && row[measure] !== null && row.gain !== null);
  const traces = rules
    .map((rule) => ({ rule, rows: shown.filter((row) => row.rule === rule) }))
    .filter(({ rows }) => rows.length > 0)
    .map(({ rule, rows }) => ({
      name: rule,
      mode: "markers",
      x: rows.map((row) => row[measure]),
      y: rows.map((row) => row.gain),
      text: rows.map((row) => `${row.task}, ${row.neuron}`),
      marker: { size: 8, color: numbers.colours[rule], symbol: rows.map((row) => numbers.marks[row.neuron]) },
    }));
  const axes = { xaxis: { title: { text: title }, type }, yaxis: { title: { text: numbers.meanings.gain } } };
  Plotly.react(id, traces, { ...LAYOUT, ...axes, legend: {} }, OPTIONS);
}

function draw() {
  const rows = chosen();
  place("count").textContent = `${rows.length} of ${numbers.rows.length} cells`;
  table.show(rows);
  scatter("alignment", "cosine", "mean cosine to the exact gradient", "linear");
  scatter("cost", "ms a step", "processor time of a step in ms", "log");
}

place("about").textContent = `${numbers.about}; ${Object.entries(numbers.marks).map(([neuron, mark]) => `${mark} ${neuron}`).join(", ")}`;
for (const name of FILTERS) {
  const values = [...new Set(numbers.rows.map((row) => row[name]))].filter((value) => value !== null);
  place(name).append(new Option("all", ""));
  options(place(name), values);
}
place("search").addEventListener("input", draw);
draw();
