import { useQueryClient } from "@tanstack/react-query";
import { type FormEvent, useId, useState } from "react";
import { useNavigate } from "react-router";
import { createExperiment } from "../../api/experiments";
import { useTranslator } from "../../i18n";
import { Button } from "../../ui/Button";
import { Dialog } from "../../ui/Dialog";
import { errorText } from "../../ui/Notice";

export function NewExperimentDialog({ onClose }: { onClose(): void }) {
  const { t } = useTranslator();
  const navigate = useNavigate();
  const queries = useQueryClient();
  const id = useId();
  const [name, setName] = useState("");
  const [description, setDescription] = useState("");
  const [problem, setProblem] = useState<string>();
  const [busy, setBusy] = useState(false);
  async function submit(event: FormEvent) {
    event.preventDefault();
    setBusy(true);
    try {
      const made = await createExperiment(name.trim(), description.trim() || undefined);
      await queries.invalidateQueries({ queryKey: ["experiment"] });
      navigate(`/experiments/${made.experiment_id}`);
    } catch (error) {
      setProblem(errorText(error, t));
      setBusy(false);
    }
  }
  return (
    <Dialog title={t("experiments.new")} onClose={onClose}>
      <form className="stack" onSubmit={submit}>
        <div className="field">
          <label htmlFor={`${id}-name`}>{t("field.name")}</label>
          <input
            id={`${id}-name`}
            required
            maxLength={128}
            value={name}
            onChange={(event) => setName(event.target.value)}
          />
        </div>
        <div className="field">
          <label htmlFor={`${id}-description`}>{t("field.description")}</label>
          <input
            id={`${id}-description`}
            value={description}
            onChange={(event) => setDescription(event.target.value)}
          />
        </div>
        {problem !== undefined && (
          <p role="alert" className="problem-text">
            {problem}
          </p>
        )}
        <div className="buttons">
          <Button onPress={onClose}>{t("action.cancel")}</Button>
          <Button look="primary" type="submit" isDisabled={busy}>
            {t("action.create")}
          </Button>
        </div>
      </form>
    </Dialog>
  );
}
