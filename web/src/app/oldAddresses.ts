/** Where the page of a reference dashboard's address (`#/runs/details/ID`) is here; undefined for no such address. */
export function addressOf(hash: string): string | undefined {
  const pages: [RegExp, string][] = [
    [/^#\/runs\/details\/([\w-]+)/, "/runs/$1"],
    [/^#\/experiments\/details\/([\w-]+)/, "/experiments/$1"],
    [/^#\/pipelines\/details\/([\w-]+)\/version\/([\w-]+)/, "/pipelines/$1?version=$2"],
    [/^#\/pipelines\/details\/([\w-]+)/, "/pipelines/$1"],
    [/^#\/recurringrun\/details\/([\w-]+)/, "/recurring-runs/$1"],
    [/^#\/(runs|pipelines|experiments|artifacts)\/?$/, "/$1"],
    [/^#\/recurringruns\/?$/, "/recurring-runs"],
    [/^#\/artifacts\/([\w-]+)/, "/artifacts/$1"],
  ];
  for (const [pattern, page] of pages) {
    const match = pattern.exec(hash);
    if (match) return page.replace(/\$(\d)/g, (_, group: string) => match[Number(group)] ?? "");
  }
  return undefined;
}
