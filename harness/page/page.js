// Tables are sorted by a click on a heading; without this script they stay in their order.
document.querySelectorAll('table.sortable').forEach(function (table) {
  var heads = table.tHead.rows[0].cells, body = table.tBodies[0];
  function value(row, column) {
    var text = row.cells[column].textContent, number = Number(text);
    return text !== '' && !isNaN(number) ? number : text;
  }
  function compare(a, b, up) {
    if (typeof a !== typeof b) return typeof a === 'number' ? -1 : 1; // no number comes last
    return (a < b ? -1 : a > b ? 1 : 0) * (up ? 1 : -1);
  }
  Array.prototype.forEach.call(heads, function (head, column) {
    var button = document.createElement('button');
    button.type = 'button';
    button.textContent = head.textContent;
    head.textContent = '';
    head.appendChild(button);
    button.addEventListener('click', function () {
      var up = head.getAttribute('aria-sort') !== 'ascending';
      Array.prototype.forEach.call(heads, function (other) { other.removeAttribute('aria-sort'); });
      head.setAttribute('aria-sort', up ? 'ascending' : 'descending');
      Array.prototype.slice.call(body.rows).sort(function (a, b) {
        return compare(value(a, column), value(b, column), up);
      }).forEach(function (row) { body.appendChild(row); });
    });
  });
});
