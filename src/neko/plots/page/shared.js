"use strict";
// What pages share: everything on a page is drawn from the JSON in the element "numbers", by its own function draw.
const numbers = JSON.parse(document.getElementById("numbers").textContent);
const place = (id) => document.getElementById(id);
const LAYOUT = { margin: { t: 20, r: 20 }, legend: { orientation: "h", y: 1.12 }, hovermode: "closest" };
const OPTIONS = { responsive: true, displaylogo: false, showSendToCloud: false };

// A number as it is shown; JSON knows no NaN and no infinity, which are words here.
function shown(value) {
  if (value === null) return "–";
  if (typeof value !== "number") return String(value);
  return Number.isInteger(value) ? String(value) : value.toPrecision(4);
}

// Ascending, what is no number last.
function compare(a, b, sign) {
  const known = [a, b].map((value) => typeof value === "number" || (typeof value === "string" && !/^-?(nan|inf)$/.test(value)));
  if (!known[0] || !known[1]) return known[1] - known[0];
  return sign * (typeof a === "string" ? a.localeCompare(b) : a - b);
}

// A table whose rows are sorted by the column whose heading is pressed.
class Table {
  constructor(id, columns) {
    this.table = place(id);
    this.columns = columns;
    this.order = { column: null, sign: 1 };
    for (const column of columns) {
      const head = document.createElement("th");
      const button = document.createElement("button");
      button.textContent = numbers.titles[column] ?? column.replaceAll("_", " ");
      button.title = numbers.meanings[column] ?? "";
      button.addEventListener("click", () => this.sort(column));
      head.dataset.column = column;
      head.append(button);
      this.table.tHead.rows[0].append(head);
    }
  }

  sort(column) {
    this.order = { column, sign: this.order.column === column ? -this.order.sign : 1 };
    this.show(this.rows);
  }

  show(rows) {
    const { column, sign } = this.order;
    this.rows = rows;
    for (const head of this.table.tHead.rows[0].cells) {
      const chosen = head.dataset.column === column;
      head.setAttribute("aria-sort", chosen ? (sign > 0 ? "ascending" : "descending") : "none");
    }
    const sorted = column === null ? rows : [...rows].sort((a, b) => compare(a[column], b[column], sign));
    this.table.tBodies[0].replaceChildren(...sorted.map((row) => this.row(row)));
  }

  row(values) {
    const row = document.createElement("tr");
    for (const column of this.columns) {
      const cell = row.insertCell();
      cell.textContent = shown(values[column]);
      cell.dataset.value = values[column] ?? "";
      if (values[column] === numbers.reference) cell.className = "reference";
    }
    return row;
  }
}

function options(select, values) {
  select.append(...values.map((value) => new Option(numbers.titles[value] ?? value, value)));
  select.addEventListener("change", draw);
}
