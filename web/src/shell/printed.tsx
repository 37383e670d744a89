// The page on paper: every view that has data begins on a new sheet. The table is printed only if it is the
// chosen view.
import { failuresOf } from "../map/failures";
import { PrintedMap } from "../map/printed_map";
import { AtOnce } from "../views/common/rows_in_steps";
import { FailureText } from "../views/failure";
import { VIEWS } from "../views/views";
import { viewNames, type ViewName, type ViewProps } from "../views/view";
import { hasFailure } from "../state";
import { VIEW_TITLES } from "../words/shell";

export function Printed(props: ViewProps) {
  const { page, prompt, state } = props;
  const isPrinted = (name: ViewName) => {
    if (name === "table") return state.view === "table";
    return name === "failure" ? hasFailure(page) : VIEWS[name].hasData(page, prompt);
  };
  return (
    <AtOnce.Provider value={true}>
      {viewNames(page).filter(isPrinted).map((name) => (
        <section key={name} class="printed-view">
          <PrintedView name={name} {...props} />
        </section>
      ))}
    </AtOnce.Provider>
  );
}

function PrintedView({ name, ...props }: ViewProps & { name: ViewName }) {
  const { page, index, say } = props;
  const state = { ...props.state, view: name };
  const title = <h2>{say(VIEW_TITLES[name])}</h2>;
  if (name === "map")
    return (
      <>
        {title}
        <PrintedMap {...{ index, state, say }} failures={null} />
      </>
    );
  if (name === "failure") {
    return (
      <>
        {title}
        <FailureText {...props} />
        <PrintedMap {...{ index, state, say }} failures={failuresOf(page, index, state.language)} />
      </>
    );
  }
  const { component: Component } = VIEWS[name];
  return <Component {...props} state={state} />;
}
