import { useQueryClient } from "@tanstack/react-query";
import { useId, useState } from "react";
import { useNavigate } from "react-router";
import { createExperiment } from "../../api/experiments";
import { useTranslator } from "../../i18n";
import { FormDialog } from "../../ui/Dialog";

export function NewExperimentDialog({ onClose }: { onClose(): void }) {
  const { t } = useTranslator();
  const navigate = useNavigate();
  const queries = useQueryClient();
  const id = useId();
  const [name, setName] = useState("");
  const [description, setDescription] = useState("");
  async function submit() {
    const made = await createExperiment(name.trim(), description.trim() || undefined);
    await queries.invalidateQueries({ queryKey: ["experiment"] });
    navigate(`/experiments/${made.experiment_id}`);
  }
  return (
    <FormDialog title={t("experiments.new")} action={t("action.create")} onClose={onClose} onSubmit={submit}>
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
        <input id={`${id}-description`} value={description} onChange={(event) => setDescription(event.target.value)} />
      </div>
    </FormDialog>
  );
}
