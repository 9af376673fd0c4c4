import { useCallback } from "react";
import { useSearchParams } from "react-router";

/** A value that lives in the page's address, so that a link to it shows the same; the default is left out of it. */
export function useUrlState(name: string, byDefault = ""): [string, (value: string) => void] {
  const [params, setParams] = useSearchParams();
  const set = useCallback(
    (value: string) =>
      setParams(
        (now) => {
          const next = new URLSearchParams(now);
          if (value === byDefault) next.delete(name);
          else next.set(name, value);
          return next;
        },
        { replace: true },
      ),
    [name, byDefault, setParams],
  );
  return [params.get(name) ?? byDefault, set];
}
