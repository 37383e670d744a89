import { render } from "preact";
import { App } from "./app";
import { nameAxes } from "./axes";
import { embeddedPage } from "./data";
import { pageIndex } from "./page_index";
import { followTheme } from "./theme";
import { speaker } from "./words/say";
import { SHELL } from "./words/shell";

async function start(): Promise<void> {
  const place = document.getElementById("gptrace") ?? document.body;
  followTheme("auto")();
  const say = speaker(document.documentElement.lang.startsWith("zh") ? "zh" : "en");
  if (typeof DecompressionStream === "undefined") {
    place.textContent = say(SHELL.tooOld);
    return;
  }
  try {
    const page = await embeddedPage();
    nameAxes(Object.keys(page.trace.dims));
    place.textContent = "";
    const index = pageIndex(page);
    const show = (isPrinting: boolean) =>
      render(<App page={page} index={index} isPrinting={isPrinting} />, place);
    show(false);
    addEventListener("beforeprint", () => show(true));
    addEventListener("afterprint", () => show(false));
  } catch (error) {
    place.textContent = `${say(SHELL.unreadable)} ${String(error)}`;
  }
}

void start();
