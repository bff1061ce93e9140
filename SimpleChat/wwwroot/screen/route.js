// Where one is in the page: the list, a conversation, the comparison. It stands in the address: Back and Forward move, a reload stays.

/** {other, isComparing} out of the address. */
export function whereNow() {
  const parameters = new URLSearchParams(location.search);
  return { other: parameters.get("with"), isComparing: parameters.has("compare") };
}

/** Goes somewhere; nothing happens if one is there. */
export function goTo({ other, isComparing }) {
  const address = new URL(location.href);
  for (const [name, value] of [["with", other], ["compare", isComparing ? "" : null]]) {
    if (value === null || value === undefined)
      address.searchParams.delete(name);
    else
      address.searchParams.set(name, value);
  }

  if (address.href !== location.href)
    history.pushState({ from: location.search }, "", address);
}

/** Back to the list: by the browser's own way, if one came from there. */
export function goToList() {
  const { from } = history.state ?? {};
  const cameFromList = typeof from === "string" && !new URLSearchParams(from).has("with") && !new URLSearchParams(from).has("compare");
  if (!cameFromList) {
    goTo({ other: null });
    return false;
  }

  history.back();
  return true;
}
