import { X } from "lucide-react";
import { useSyncExternalStore } from "react";
import { useTranslator } from "../i18n";
import { IconButton } from "./Button";

interface Toast {
  id: number;
  text: string;
  failed: boolean;
}

let toasts: Toast[] = [];
let last = 0;
const listeners = new Set<() => void>();

function change(next: Toast[]) {
  toasts = next;
  for (const listener of listeners) listener();
}

function dismiss(id: number) {
  change(toasts.filter((toast) => toast.id !== id));
}

/** A short word on what was done. It goes by itself; one on a failure stays until it is closed. */
export function toast(text: string, failed = false): void {
  const id = ++last;
  change([...toasts.slice(-4), { id, text, failed }]);
  if (!failed) setTimeout(() => dismiss(id), 5000);
}

export function Toasts() {
  const { t } = useTranslator();
  const shown = useSyncExternalStore(
    (listener) => {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    () => toasts,
  );
  return (
    <section className="toasts" aria-label={t("toasts.label")} aria-live="polite">
      {shown.map(({ id, text, failed }) => (
        <div key={id} className={failed ? "toast failed" : "toast"}>
          <span className="grow">{text}</span>
          <IconButton label={t("action.close")} small onPress={() => dismiss(id)}>
            <X size={14} aria-hidden />
          </IconButton>
        </div>
      ))}
    </section>
  );
}
