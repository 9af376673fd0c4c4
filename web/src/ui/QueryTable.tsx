import { DataTable, type TableProps } from "./DataTable";
import { ErrorNotice, Loading } from "./Notice";

/** What the table asks of an infinite query. */
interface ListQuery {
  error: unknown;
  isPending: boolean;
  hasNextPage: boolean;
  isFetchingNextPage: boolean;
  fetchNextPage(): unknown;
  refetch(): unknown;
}

interface Props<T> extends Omit<TableProps<T>, "hasMore" | "onMore"> {
  query: ListQuery;
}

/** The table of a list that is asked for page by page: until the first is there what is done about it, or why it isn't. */
export function QueryTable<T>({ query, ...table }: Props<T>) {
  if (query.error && table.items.length === 0)
    return <ErrorNotice error={query.error} onRetry={() => query.refetch()} />;
  if (query.isPending) return <Loading />;
  return <DataTable {...table} hasMore={query.hasNextPage && !query.isFetchingNextPage} onMore={query.fetchNextPage} />;
}
