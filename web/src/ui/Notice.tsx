import { CircleX, RefreshCw } from "lucide-react";
import type { ReactNode } from "react";
import { ApiError, UnreachableError } from "../api/client";
import type { Translator } from "../i18n";
import { useTranslator } from "../i18n";
import { Button } from "./Button";

/** What a failure means to the reader: the server's own reason where it gave one. */
export function errorText(error: unknown, t: Translator["t"]): string {
  if (error instanceof UnreachableError) return t("error.unreachable");
  if (error instanceof ApiError) return error.message;
  return error instanceof Error ? error.message : String(error);
}

function errorTitle(error: unknown, t: Translator["t"]): string {
  if (error instanceof UnreachableError) return t("error.unreachable.title");
  if (error instanceof ApiError && error.status === 404) return t("error.notFound");
  if (error instanceof ApiError && (error.status === 401 || error.status === 403)) return t("error.forbidden");
  return t("error.title");
}

/** A failure in the place of what couldn't be shown. */
export function ErrorNotice({ error, onRetry }: { error: unknown; onRetry?: () => void }) {
  const { t } = useTranslator();
  return (
    <div role="alert" className="notice failed">
      <CircleX size={20} aria-hidden />
      <div className="grow stack">
        <strong>{errorTitle(error, t)}</strong>
        <pre>{errorText(error, t)}</pre>
      </div>
      {onRetry && (
        <Button onPress={onRetry}>
          <RefreshCw size={14} aria-hidden />
          {t("action.tryAgain")}
        </Button>
      )}
    </div>
  );
}

export function Empty({ title, children }: { title: string; children?: ReactNode }) {
  return (
    <div className="empty">
      <h2>{title}</h2>
      {children}
    </div>
  );
}

export function Loading() {
  const { t } = useTranslator();
  return (
    <output className="empty" aria-live="polite">
      {t("loading")}
    </output>
  );
}
