import type { ListedObject, ObjectPage } from "../../api/objects";

/** What a bucket's list shows: a folder is a prefix that ends with a slash. */
export type Entry = { folder: true; key: string } | { folder: false; key: string; object: ListedObject };

/** The entries of a page in one order, as the server pages through them; the folder's own marker is left out. */
export function entriesOf(page: ObjectPage, prefix: string): Entry[] {
  const entries: Entry[] = [
    ...page.prefixes.map((key): Entry => ({ folder: true, key })),
    ...page.objects
      .filter(({ key }) => key !== prefix)
      .map((object): Entry => ({ folder: false, key: object.key, object })),
  ];
  return entries.sort((a, b) => (a.key < b.key ? -1 : a.key > b.key ? 1 : 0));
}

/** The last part of a key: "b.txt" of "a/b.txt", "a" of "a/". */
export function nameOf(key: string): string {
  const plain = key.endsWith("/") ? key.slice(0, -1) : key;
  return plain.slice(plain.lastIndexOf("/") + 1) || key;
}

/** The prefixes on the way to this one, each with its name: "a/", "a/b/" of "a/b/". */
export function waysTo(prefix: string): { prefix: string; name: string }[] {
  const ways: { prefix: string; name: string }[] = [];
  for (let at = prefix.indexOf("/"); at >= 0; at = prefix.indexOf("/", at + 1)) {
    const way = prefix.slice(0, at + 1);
    ways.push({ prefix: way, name: way.slice(0, -1).slice(way.slice(0, -1).lastIndexOf("/") + 1) });
  }
  return ways;
}

/** The prefix of the folder that the key is in: "a/" of "a/b.txt" and of "a/b/". */
export const folderOf = (key: string) => key.slice(0, key.lastIndexOf("/", key.length - 2) + 1);

/** What a link to a folder, an object in it, or what begins so is. */
export const bucketLink = (bucket: string, place: { prefix?: string; object?: string; q?: string } = {}) => {
  const params = new URLSearchParams(Object.entries(place).filter(([, value]) => value));
  return `/objects/${encodeURIComponent(bucket)}${params.size > 0 ? `?${params}` : ""}`;
};
