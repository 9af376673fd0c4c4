import { useVirtualizer } from "@tanstack/react-virtual";
import { ArrowDown, ArrowUp } from "lucide-react";
import { type ReactNode, useEffect, useRef } from "react";
import { useTranslator } from "../i18n";

export interface Column<T> {
  id: string;
  header: string;
  cell(item: T): ReactNode;
  /** The field that the server sorts by. */
  sort?: string;
  number?: boolean;
  width?: string;
}

export interface TableProps<T> {
  label: string;
  items: T[];
  columns: Column<T>[];
  idOf(item: T): string;
  /** `created_at desc`: what the list is sorted by. */
  sort?: string;
  onSort?(sort: string): void;
  selected?: ReadonlySet<string>;
  onSelect?(selected: Set<string>): void;
  /** All there are, when the items are the first of more. */
  total?: number;
  hasMore?: boolean;
  onMore?(): void;
  empty: ReactNode;
}

const rowHeight = 40;

/** A table of any length: only the rows in view are made, and the next page is asked for as the end comes near. */
export function DataTable<T>(props: TableProps<T>) {
  const { label, items, columns, idOf, sort, onSort, selected, onSelect, total, hasMore, onMore, empty } = props;
  const { t, number } = useTranslator();
  const frame = useRef<HTMLDivElement>(null);
  const rows = useVirtualizer({
    count: items.length,
    getScrollElement: () => frame.current,
    estimateSize: () => rowHeight,
    overscan: 12,
  });
  const visible = rows.getVirtualItems();
  const lastVisible = visible.at(-1)?.index ?? 0;
  useEffect(() => {
    if (hasMore && lastVisible >= items.length - 30) onMore?.();
  }, [hasMore, lastVisible, items.length, onMore]);

  if (items.length === 0) return <>{empty}</>;
  const [sortField, sortOrder] = (sort ?? "").split(" ");
  const before = visible[0]?.start ?? 0;
  const after = rows.getTotalSize() - (visible.at(-1)?.end ?? 0);
  const span = columns.length + (onSelect ? 1 : 0);

  function select(id: string, on: boolean) {
    const next = new Set(selected);
    if (on) next.add(id);
    else next.delete(id);
    onSelect?.(next);
  }
  return (
    <>
      <section className="table-frame" ref={frame} tabIndex={0} aria-label={label}>
        <table className="table" aria-rowcount={total ?? items.length}>
          <thead>
            <tr>
              {onSelect && (
                <th className="check" scope="col">
                  <span>
                    <input
                      type="checkbox"
                      aria-label={t("table.selectAll")}
                      checked={items.length > 0 && items.every((item) => selected?.has(idOf(item)))}
                      onChange={(event) => onSelect(new Set(event.target.checked ? items.map(idOf) : []))}
                    />
                  </span>
                </th>
              )}
              {columns.map(({ id, header, sort: field, number: isNumber, width }) => {
                const sorted = field !== undefined && field === sortField;
                const descending = sorted && sortOrder === "desc";
                return (
                  <th
                    key={id}
                    scope="col"
                    className={isNumber ? "number" : undefined}
                    style={width ? { width } : undefined}
                    aria-sort={sorted ? (descending ? "descending" : "ascending") : undefined}
                  >
                    {field && onSort ? (
                      <button
                        type="button"
                        onClick={() => onSort(`${field} ${descending || !sorted ? "asc" : "desc"}`)}
                      >
                        {header}
                        {sorted &&
                          (descending ? <ArrowDown size={12} aria-hidden /> : <ArrowUp size={12} aria-hidden />)}
                      </button>
                    ) : (
                      <span>{header}</span>
                    )}
                  </th>
                );
              })}
            </tr>
          </thead>
          <tbody>
            {before > 0 && (
              <tr aria-hidden>
                <td colSpan={span} style={{ height: before, padding: 0 }} />
              </tr>
            )}
            {visible.map(({ index }) => {
              const item = items[index] as T;
              const id = idOf(item);
              const chosen = selected?.has(id) ?? false;
              return (
                <tr key={id} data-selected={chosen || undefined} aria-rowindex={index + 1}>
                  {onSelect && (
                    <td className="check">
                      <input
                        type="checkbox"
                        aria-label={t("table.select")}
                        checked={chosen}
                        onChange={(event) => select(id, event.target.checked)}
                      />
                    </td>
                  )}
                  {columns.map(({ id: column, cell, number: isNumber }) => (
                    <td key={column} className={isNumber ? "number" : undefined}>
                      {cell(item)}
                    </td>
                  ))}
                </tr>
              );
            })}
            {after > 0 && (
              <tr aria-hidden>
                <td colSpan={span} style={{ height: after, padding: 0 }} />
              </tr>
            )}
          </tbody>
        </table>
      </section>
      <p className="table-foot" aria-live="polite">
        {total !== undefined && total > items.length
          ? t("table.someOf", { shown: number(items.length), total: number(total) })
          : t("table.all", { count: number(items.length) })}
        {selected && selected.size > 0 && ` · ${t("table.selected", { count: number(selected.size) })}`}
      </p>
    </>
  );
}
