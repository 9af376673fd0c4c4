import { useQueryClient } from "@tanstack/react-query";
import { useId, useState } from "react";
import { useNavigate } from "react-router";
import { registerModel } from "../../api/models";
import { useTranslator } from "../../i18n";
import { FormDialog } from "../../ui/Dialog";

interface Props {
  artifact: string;
  run: string;
  name: string;
  onClose(): void;
}

const fields = ["model", "version", "description", "format", "formatVersion", "aliases"] as const;
type Field = (typeof fields)[number];

/** Makes what a run's task gave a version of a registered model. */
export function RegisterDialog({ artifact, run, name, onClose }: Props) {
  const { t } = useTranslator();
  const navigate = useNavigate();
  const queries = useQueryClient();
  const id = useId();
  const [values, setValues] = useState<Record<Field, string>>({
    model: name,
    version: "",
    description: "",
    format: "",
    formatVersion: "",
    aliases: "",
  });
  async function submit() {
    const given = (field: Field) => values[field].trim() || undefined;
    const made = await registerModel({
      run_id: run,
      artifact_id: artifact,
      model: values.model.trim(),
      version: given("version"),
      description: given("description"),
      model_format_name: given("format"),
      model_format_version: given("formatVersion"),
      aliases: given("aliases")?.split(/[\s,]+/),
    });
    await queries.invalidateQueries({ queryKey: ["model"] });
    const { registered_model: model, model_version: version } = made;
    navigate(`/models/${encodeURIComponent(model.id)}?version=${encodeURIComponent(version.id)}`);
  }
  return (
    <FormDialog title={t("models.register")} action={t("models.register.do")} onClose={onClose} onSubmit={submit}>
      {fields.map((field) => (
        <div key={field} className="field">
          <label htmlFor={`${id}-${field}`}>{t(`models.register.${field}`)}</label>
          <input
            id={`${id}-${field}`}
            required={field === "model"}
            placeholder={field === "version" ? t("models.register.next") : undefined}
            value={values[field]}
            onChange={(event) => setValues({ ...values, [field]: event.target.value })}
          />
        </div>
      ))}
    </FormDialog>
  );
}
