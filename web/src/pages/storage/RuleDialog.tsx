import { useQueryClient } from "@tanstack/react-query";
import { type FormEvent, useId, useState } from "react";
import { createRule, type NewRule, type Plan, planRetention } from "../../api/storage";
import { useTranslator } from "../../i18n";
import { Button } from "../../ui/Button";
import { Dialog } from "../../ui/Dialog";
import { bytes } from "../../ui/format";
import { errorText } from "../../ui/Notice";

const fields = ["name", "pipelines", "olderThan", "keepLast"] as const;
type Field = (typeof fields)[number];

export function RuleDialog({ onClose }: { onClose(): void }) {
  const { t, number } = useTranslator();
  const queries = useQueryClient();
  const id = useId();
  const [values, setValues] = useState<Record<Field, string>>({
    name: "",
    pipelines: "",
    olderThan: "30d",
    keepLast: "5",
  });
  const [action, setAction] = useState<"DELETE" | "ARCHIVE">("DELETE");
  const [problem, setProblem] = useState<string>();
  const [busy, setBusy] = useState(false);
  const [plan, setPlan] = useState<Plan>();
  function rule(): NewRule {
    const names = values.pipelines
      .split(",")
      .map((name) => name.trim())
      .filter(Boolean);
    return {
      name: values.name.trim(),
      selector: names.length > 0 ? { pipeline_names: names } : undefined,
      older_than: values.olderThan.trim() || undefined,
      keep_last: values.keepLast === "" ? undefined : Number(values.keepLast),
      per: "PIPELINE",
      action,
    };
  }
  async function attempt(work: () => Promise<void>) {
    setBusy(true);
    setProblem(undefined);
    try {
      await work();
    } catch (error) {
      setProblem(errorText(error, t));
    }
    setBusy(false);
  }
  function submit(event: FormEvent) {
    event.preventDefault();
    attempt(async () => {
      await createRule(rule());
      await queries.invalidateQueries({ queryKey: ["storage"] });
      onClose();
    });
  }
  return (
    <Dialog title={t("storage.newRule")} onClose={onClose}>
      <form className="stack" onSubmit={submit}>
        {fields.map((field) => (
          <div key={field} className="field">
            <label htmlFor={`${id}-${field}`}>{field === "name" ? t("field.name") : t(`storage.rule.${field}`)}</label>
            <input
              id={`${id}-${field}`}
              required={field === "name"}
              type={field === "keepLast" ? "number" : "text"}
              min={0}
              value={values[field]}
              onChange={(event) => setValues({ ...values, [field]: event.target.value })}
            />
          </div>
        ))}
        <div className="field">
          <label htmlFor={`${id}-action`}>{t("storage.action")}</label>
          <select
            id={`${id}-action`}
            value={action}
            onChange={(event) => setAction(event.target.value as "DELETE" | "ARCHIVE")}
          >
            <option value="DELETE">{t("storage.DELETE")}</option>
            <option value="ARCHIVE">{t("storage.ARCHIVE")}</option>
          </select>
        </div>
        <p className="muted">{t("storage.rule.soon")}</p>
        {plan && (
          <p aria-live="polite">
            {t("storage.planned", {
              deleted: number(plan.deleted),
              archived: number(plan.archived),
              size: bytes(plan.bytes),
            })}
          </p>
        )}
        {problem !== undefined && (
          <p role="alert" className="problem-text">
            {problem}
          </p>
        )}
        <div className="buttons">
          <Button
            isDisabled={busy || values.name.trim() === ""}
            onPress={() => attempt(async () => setPlan(await planRetention([rule()])))}
          >
            {t("storage.dryRun")}
          </Button>
          <Button onPress={onClose}>{t("action.cancel")}</Button>
          <Button look="primary" type="submit" isDisabled={busy}>
            {t("action.create")}
          </Button>
        </div>
      </form>
    </Dialog>
  );
}
