// The choice of model, which also sets the steps and guidance recommended for it.
import { sendForJson } from "./api.js";

const RECOMMENDED = ["num_inference_steps", "guidance_scale"];

/**
 * Fill the choice, and call `setField(name, value)` with what is recommended for it; `adapters` offers those that fit it.
 * Throws a `Problem` if the models can't be loaded.
 */
export async function offerModels(select, setField, adapters) {
  const { models } = await sendForJson("models");
  const known = new Map(models.map((model) => [model.model, model]));
  const chosen = select.value;
  select.replaceChildren(...models.map((model) => new Option(model.model)));
  choose(select, chosen || models.find((model) => model.default)?.model);
  const recommend = (names) => {
    for (const name of names.filter((name) => known.get(select.value)?.[name])) {
      setField(name, known.get(select.value)[name]);
    }
  };
  if (!chosen) {
    recommend(RECOMMENDED.filter((name) => untouched(select.form.querySelector(`#${name}`))));
  }
  adapters.offer(known, select.value);
  // This runs before the form's own listener.
  select.oninput = () => {
    recommend(RECOMMENDED);
    adapters.switchModel(select.value);
  };
}

function untouched(slider) {
  return slider.value === slider.defaultValue;
}

/** Choose a model, even one that no longer exists: the service rejects the request then. */
export function choose(select, model) {
  if (model && ![...select.options].some((option) => option.value === model)) {
    select.append(new Option(model));
  }
  select.value = model ?? "";
}
