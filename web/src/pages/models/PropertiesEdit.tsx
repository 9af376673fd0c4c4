import { Plus, X } from "lucide-react";
import { useState } from "react";
import type { Properties } from "../../api/models";
import { useTranslator } from "../../i18n";
import { Button, IconButton } from "../../ui/Button";
import { propertyOf, propertyText, without } from "./properties";

interface Props {
  properties: Properties;
  /** All of them, as they are to be. */
  onChange(properties: Properties): Promise<void>;
}

export function PropertiesEdit({ properties, onChange }: Props) {
  const { t } = useTranslator();
  const [name, setName] = useState("");
  const [value, setValue] = useState("");
  return (
    <section className="stack" aria-label={t("models.properties")}>
      <h3>{t("models.properties")}</h3>
      <dl className="facts">
        {Object.entries(properties).map(([key, property]) => (
          <div key={key} style={{ display: "contents" }}>
            <dt>{key}</dt>
            <dd className="row">
              <span className="grow">{propertyText(property)}</span>
              <IconButton
                small
                label={t("models.removeProperty", { name: key })}
                onPress={() => onChange(without(properties, key))}
              >
                <X size={12} aria-hidden />
              </IconButton>
            </dd>
          </div>
        ))}
      </dl>
      <form
        className="row"
        onSubmit={async (event) => {
          event.preventDefault();
          await onChange({ ...properties, [name]: propertyOf(value) });
          setName("");
          setValue("");
        }}
      >
        <input
          className="input"
          aria-label={t("models.property")}
          placeholder={t("models.property")}
          required
          value={name}
          onChange={(event) => setName(event.target.value)}
        />
        <input
          className="input"
          aria-label={t("models.value")}
          placeholder={t("models.value")}
          value={value}
          onChange={(event) => setValue(event.target.value)}
        />
        <Button type="submit">
          <Plus size={14} aria-hidden />
          {t("models.add")}
        </Button>
      </form>
    </section>
  );
}
