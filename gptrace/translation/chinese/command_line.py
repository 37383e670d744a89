"""Messages of the command line, of options, and of kept files."""

from __future__ import annotations

COMMAND_LINE: dict[str, str] = {
    # prompts in files, run by Ray
    "{} prompts have results in {}": "{1} 里有 {0} 个 prompt 的结果",
    "{} is given without {}": "给出了 {}，却没有给出 {}",
    "{} is given without --from and --to": "给出了 {}，却没有给出 --from 和 --to",
    "give both, or neither": "请两个都给出，或都不给",
    "drop {}": "请去掉 {}",
    "--from reads files, but there is also text or stdin": "--from 读的是文件，却还给出了文字或 stdin",
    "--format {} is not a format of the summary of a run": "--format {} 不是运行小结的格式",
    "drop it; --parts sets the format of the results": "请去掉它；结果的格式由 --parts 决定",
    "--parts is {}": "--parts 是 {}",
    "--id-key {}: results have a key of that name": "--id-key {}：结果里有同名的键",
    "rename the key of the ids": "请给 id 所在的键改名",
    "give a fraction of a GPU, or a whole number up to {}": "请给出小于 1 的小数，或不超过 {} 的整数",
    "--gpus-per-worker is {}, and --device is {}": "--gpus-per-worker 是 {}，而 --device 是 {}",
    "add --device cuda": "请加上 --device cuda",
    "--from {}: it is a folder": "--from {}：这是一个文件夹",
    "--from {}: it matches only folders or results of this run": (
        "--from {}：只匹配到文件夹，或这次运行的结果"
    ),
    "write --from {}": "请写 --from {}",
    "name files of prompts": "请指定 prompt 文件",
    "{} is compressed": "{} 是压缩文件",
    "decompress it, or write its prompts as Parquet": "请先解压，或把其中的 prompt 写成 Parquet",
    "{} is not a Parquet file: {}": "{} 不是 Parquet 文件：{!t}",
    "give it another suffix if it holds JSON Lines": "如果里面是 JSON Lines，请换一个后缀",
    "{} needs the column {}, and text or ids; it has {}": (
        "{} 需要有 {} 这一列，以及 text 或 ids；它有的列是 {}"
    ),
    "rename its columns, or name that of the ids with --id-key": (
        "请给列改名，或用 --id-key 指出 id 所在的列"
    ),
    "the prompts have more than {} different keys": "这些 prompt 的键超过 {} 个",
    "write --parts jsonl": "请写 --parts jsonl",
    "there are no prompts in {}": "{} 里没有 prompt",
    "give files with a prompt on each line": "请给出每行一个 prompt 的文件",
    "{} is the {} of several prompts: {}": "{0} 是好几个 prompt 的 {1}：{2!t}",
    "; {} ids are repeated in all": "；一共有 {} 个 id 重复",
    "give each prompt its own, or name another key with --id-key": (
        "请让每个 prompt 的 id 各不相同，或用 --id-key 指定另一个键"
    ),
    "row {} of {}": "{1} 的第 {0} 行",
    "another run has taken over {}": "另一次运行已经接管了 {}",
    "wait for it to end": "请等它结束",
    "--to and --output are both given": "同时给出了 --to 和 --output",
    "drop --output": "请去掉 --output",
    "--workers {}, each with {} GPUs, do not fit into a cluster with {}": (
        "{0} 个 worker、每个 {1} 个 GPU，放不进有 {2} 个 GPU 的集群"
    ),
    "use a cluster with GPUs, or --device cpu": "请用有 GPU 的集群，或用 --device cpu",
    "Ray at RAY_ADDRESS {} cannot be used: {}": "RAY_ADDRESS {} 处的 Ray 不能用：{!t}",
    "start it, or unset RAY_ADDRESS": "请启动它，或取消 RAY_ADDRESS",
    "it does not answer": "没有应答",
    "set RAY_AUTH_MODE=token, and bring the token of the cluster to ~/.ray/auth_token": (
        "请设 RAY_AUTH_MODE=token，并把集群的 token 放到 ~/.ray/auth_token"
    ),
    "Ray does not start: {}": "Ray 启动不了：{!t}",
    "its logs are in /tmp/ray": "它的日志在 /tmp/ray 里",
    "a worker died {} times at the same prompts; it may need more memory": (
        "worker 在同样的 prompt 上死了 {} 次；它可能需要更多内存"
    ),
    "use fewer --workers or a smaller --batch-size; written results stay": (
        "请减少 --workers 或减小 --batch-size；已经写入的结果会保留"
    ),
    "the results cannot be written: {}": "结果无法写入：{!t}",
    "--gpus-per-worker is {}": "--gpus-per-worker 是 {}",
    "--from and --to need Ray": "--from 和 --to 需要 Ray",
    "install it: pip install 'gptrace[ray]'": "请安装它：pip install 'gptrace[ray]'",
    "--from {}: no file has such a name": "--from {}：没有这样名字的文件",
    "quote the pattern, as in 'prompts/*.jsonl'": "请给模式加上引号，例如 'prompts/*.jsonl'",
    "line {} of {}": "{1} 的第 {0} 行",
    "{} has no {}, a number or a text": "{0!t}没有 {1}（数或文字）",
    "give each line its own {}, beside its text": "请在每一行的文字旁边给出各自的 {}",
    "another run writes to {}": "另一次运行正在往 {} 里写",
    "wait for it to end, or name another folder": "请等它结束，或另外指定一个文件夹",
    "--to {} holds results of another run: {} was {}, and is {}": (
        "--to {} 里是另一次运行的结果：{} 那时是 {}，现在是 {}"
    ),
    "repeat the options of that run to continue it, or name a new folder": (
        "请用那次运行的选项来继续它，或指定一个新文件夹"
    ),
    "--to {}: its {}": "--to {}：其中的 {}",
    "{} is no result": "{} 不是结果",
    "something else changed the file: run the prompts again, into a new folder": (
        "有别的程序改动了这个文件：请重新运行这些 prompt，写到新的文件夹"
    ),
    "give files that can be read": "请给出可以读取的文件",
    "--to {} cannot be used: {}": "--to {} 不能用：{!t}",
    "name another folder": "请另外指定一个文件夹",
    "--to {}: the folder holds other files": "--to {}：这个文件夹里有别的文件",
    "name a new or empty folder": "请指定一个新的或空的文件夹",
    "{} of {} prompts failed; {} holds the error of each": (
        "{1} 个 prompt 里有 {0} 个失败；每个的错误都在 {2} 里"
    ),
    "--workers {} leaves fewer than {} of the {} processors of the cluster, which reading and writing need": (
        "--workers {0} 会让集群的 {2} 个处理器剩下不到 {1} 个，而读写需要它们"
    ),
    "write --workers {}": "请写 --workers {}",
    "use a larger cluster": "请用更大的集群",
    "Ray failed: {}: {}": "Ray 运行失败：{}：{!t}",
    "written results stay; run the same command again to continue": (
        "已经写入的结果会保留；再运行同一条命令即可继续"
    ),
    # the page that is opened
    "--open: no browser is found here": "--open：这里找不到浏览器",
    "the page is in {}: open it in a browser": "页面在 {} 里：请用浏览器打开它",
    "the page is in {}": "页面在 {} 里",
    "--open shows a trace, and --expect a difference": "--open 显示跟踪结果，--expect 显示差别",
    "--check shows its findings on a page": "--check 把检查结果显示在网页上",
    "write one with -o FILE.html, or run gptrace check": "请用 -o FILE.html 写出网页，或者运行 gptrace check",
    "--open opens an HTML file, but there is also {}": "--open 打开 HTML 文件，却还给出了 {}",
    "drop {}, or --open": "请去掉 {}，或者去掉 --open",
    "rank {}: {}": "rank {}：{!t}",
    # what several messages share
    "junit is no format of this report": "这个报告不能写成 junit",
    "only gptrace check writes JUnit XML": "只有 gptrace check 能写 JUnit XML",
    "--write and --diff are both given": "同时给了 --write 和 --diff",
    "--diff is plain text on stdout": "--diff 只把纯文本写到 stdout",
    "leave out --format, --json and --output": "去掉 --format、--json 和 --output",
    "{} shape comment is now in {}": "已把 {} 条形状注释写入 {}",
    "{} shape comments are now in {}": "已把 {} 条形状注释写入 {}",
    "{} is up to date: it has {} shape comment": "{} 已是最新：有 {} 条形状注释",
    "{} is up to date: it has {} shape comments": "{} 已是最新：有 {} 条形状注释",
    "no comment fits at the end of these lines of {}: {}": "{} 的这些行末尾放不下注释：{}",
    "{} cannot be written: {}": "无法写入 {}：{!t}",
    "{} has changed since the model was loaded, and is left as it is": "{} 在模型加载之后有改动，保持原样",
    "run the command again": "请再运行一次命令",
    "{} cannot be written: it is read-only": "{} 无法写入：它是只读的",
    "allow it first: chmod u+w {}": "请先允许写入：chmod u+w {}",
    "{} is left as it is: it has other names (hard links), which would part from it": (
        "{} 保持原样：它还有别的名字（硬链接），写入后会与它们分开"
    ),
    "copy the file, and name the copy: --model FILE.py:OBJECT": (
        "复制这个文件，并指定副本：--model FILE.py:OBJECT"
    ),
    "--write and --remove are both given": "--write 和 --remove 不能同时给出",
    "no line of the model's own code ran": "模型自己的代码一行也没有运行",
    "no file takes comments: {}": "没有可以写入注释的文件：{!t}",
    "no comments in {}": "未写入注释：{!t}",
    "code of a notebook": "是笔记本里的代码",
    "no such file": "这个文件不存在",
    "part of an installed package": "属于已安装的包",
    "{} shape comment was taken out of {}": "已从 {1} 中去掉 {0} 条形状注释",
    "{} shape comments were taken out of {}": "已从 {1} 中去掉 {0} 条形状注释",
    "comments that gptrace did not write stay in {}: lines {}": (
        "{} 里不是 gptrace 写的注释保持不动：第 {} 行"
    ),
    "copy it into a .py file, and name the copy: gptrace source --model FILE.py:OBJECT": (
        "请复制到一个 .py 文件，再用副本的名字：gptrace source --model FILE.py:OBJECT"
    ),
    "shape comments would change the code of {}": "形状注释会改动 {} 的代码",
    "this is a mistake in gptrace": "这是 gptrace 的错误",
    "name a file that can be read": "请给一个可读的文件",
    "{} is no Python that can be read: {}": "{} 不是能读懂的 Python 代码：{!t}",
    "correct it first": "请先改正",
    "the encoding of {} is unknown: {}": "{} 的编码未知：{!t}",
    "save it as UTF-8": "请存为 UTF-8",
    "there is no check {}": "没有名为 {} 的检查",
    "drop one of the two": "去掉其中一个",
    "--list has no format {}": "--list 没有 {} 格式",
    "drop --format: it is a text": "去掉 --format：它是一段文字",
    "drop one of them": "去掉其中一个",
    "pick one of {}": "可选：{}",
    "pick one of {}, all": "可选：{}、all",
    "did you mean {}? Known: {}": "是不是想写 {}？可用的有：{}",
    "Known: {}": "可用的有：{}",
    "known: {}": "可用的有：{}",
    "{} is {}": "{} 是 {}",
    "; the value comes from the variable {}": "；这个值来自环境变量 {}",
    " and {} more": " 等（另有 {} 个）",
    "; and {} more": "；另有 {} 个",
    "a number of more than 4300 digits": "一个超过 4300 位的数",
    "(no message: its __str__ raises)": "（没有信息：它的 __str__ 抛出异常）",
    "{}… ({} characters) …{}": "{}…（共 {} 个字符）…{}",
    "{}… ({} characters)": "{}…（共 {} 个字符）",
    "the language is {}": "语言是 {}",
    "the theme is {}": "主题是 {}",
    "{} is not a measurement": "{} 不是能测量的量",
    # commands
    "`{} --help` lists the arguments and options": "用 `{} --help` 查看参数和选项（帮助是英文的）",
    "; text that starts with a dash goes after --": "；以连字符开头的文字要放在 -- 之后",
    'commands: {}; text goes after one of them, as in: gptrace run "Hello"': (
        '命令有：{}；文字写在命令之后，例如 gptrace run "Hello"'
    ),
    "shell completion cannot read the command line: {}: {}": (
        "命令补全读不懂这个命令行（英文信息是原文）：{}: {}"
    ),
    "completion works in bash, zsh, fish, powershell and pwsh; `_GPTRACE_COMPLETE=source_bash gptrace` "
    "prints the script for bash": (
        "命令补全支持 bash、zsh、fish、powershell 和 pwsh；`_GPTRACE_COMPLETE=source_bash gptrace` "
        "打印 bash 用的脚本"
    ),
    "'-' stands for stdin, and is given twice": "'-' 表示 stdin，却写了两次",
    "'-', which stands for stdin, is given more than once": "'-' 表示 stdin，却写了不止一次",
    "stdin can be read only once": "stdin 只能读一次",
    "{} of {} prompt has no next token: the greatest logit is NaN or infinite": (
        "{1} 个 prompt 中有 {0} 个无法预测下一个 token：最大的 logit 是 NaN 或无穷"
    ),
    "{} of {} prompts have no next token: the greatest logit is NaN or infinite": (
        "{1} 个 prompt 中有 {0} 个无法预测下一个 token：最大的 logit 是 NaN 或无穷"
    ),
    "; after prompt {}: {}": "；prompt {} 之后：{!t}",
    "gptrace run --columns nan names the call that made it": (
        "用 gptrace run --columns nan 可以看到它最早出现在哪次调用"
    ),
    "--output {} would replace the trace to compare with": "--output {} 会覆盖要比较的那份跟踪结果",
    "name another file": "换一个文件名",
    "{} is not an output with a schema": "{} 不是有 schema 的输出",
    "{} is for a trace, and {} is not one": "{} 只用于跟踪结果，而 {} 不是",
    "leave out {}": "去掉 {}",
    "no text was given, so this is the sample prompt {}": "没有给出文字，所以使用示例 prompt {}",
    "the output is in English: its encoding, {}, lacks simplified Chinese characters": (
        "输出改用英文：它的编码 {} 缺少简体中文字符"
    ),
    # main
    "torch alone takes some 300 MiB; free some memory, or raise the limit": (
        "光是 torch 就要占约 300 MiB；请腾出一些内存，或者提高限额"
    ),
    "{}: {} hides the library of that name": "{}：{} 挡住了同名的库",
    "rename that file, or take its folder out of PYTHONPATH": (
        "请给那个文件改名，或者把它所在的文件夹从 PYTHONPATH 中去掉"
    ),
    "this may be a bug in gptrace; GPTRACE_DEBUG=1 shows where it happened": (
        "这可能是 gptrace 的错误（英文信息是原文）；用 GPTRACE_DEBUG=1 查看出错的地方"
    ),
    "the model's own code raised this; GPTRACE_DEBUG=1 shows the whole traceback": (
        "异常来自模型自己的代码，英文信息是原文；GPTRACE_DEBUG=1 显示完整的 traceback"
    ),
    "not enough memory to load torch and the model": "内存不够，无法加载 torch 和模型",
    "interrupted": "已中断",
    "{}; run the command again": "{!t}；请重新运行",
    "what was written is incomplete": "写出的内容不完整",
    "nothing was written": "什么也没有写出",
    "the results so far are in {}; run the same command again to add the others": (
        "已有的结果在 {} 里；再次运行同样的命令，就会补上其余的"
    ),
    "the current folder is gone: {}": "当前文件夹已经不在了：{!t}",
    "cd to a folder that exists": "请 cd 到一个存在的文件夹",
    # options
    "--ids and text are both given": "--ids 和文字不能同时给出",
    "{} {} is not a {}": "{} {} 不是{!s}",
    "write it like {} {}": "例如写成 {} {}",
    "whole number": "整数",
    "whole number of at least {}": "不小于 {} 的整数",
    "number": "数",
    "--json and --format {} are both given": "--json 和 --format {} 不能同时给出",
    "{} is not a format": "{} 不是支持的格式",
    "--output {}: its suffix names no format": "--output {}：从后缀看不出格式",
    "use {}, or --format": "后缀请用 {}，或者加 --format",
    "--input-format is {}": "--input-format 是 {}",
    "--lines and --input-format {} are both given": "--lines 和 --input-format {} 不能同时给出",
    "prompts come from the lines of stdin, but there is also {}": "prompt 来自 stdin 的各行，却还写了 {}",
    "--resume: {} is no regular file": "--resume：{} 不是普通文件",
    "it can only be written from the beginning": "它只能从头写起",
    "{} of {} prompts failed; the output holds the error of each": (
        "{1} 个 prompt 中有 {0} 个没有结果；错误写在输出里"
    ),
    "--resume continues a stream, and there is none": "--resume 用于接着处理一连串 prompt，而这里没有",
    "add --lines or --input-format jsonl": "请加上 --lines 或 --input-format jsonl",
    "--resume needs an output file in JSON Lines": "--resume 需要一个 JSON Lines 格式的输出文件",
    "add --output FILE.jsonl": "请加上 --output FILE.jsonl",
    "--resume: line {} of {} is not result {} of gptrace {}": (
        "--resume：{1} 的第 {0} 行不是 gptrace {3} 的第 {2} 个结果"
    ),
    "give the file that this command wrote, or another one": "请给出这个命令写的文件，或者换一个文件名",
    "--resume: {} holds {} results, and stdin has fewer lines": (
        "--resume：{} 里有 {} 个结果，而 stdin 没有这么多行"
    ),
    "give the same prompts again, or another --output": "请给出同样的 prompt，或者换一个 --output",
    "--resume: line {} of {} is not what this run gives for its prompt": (
        "--resume：{1} 的第 {0} 行与这次运行对同一个 prompt 算出的结果不同"
    ),
    "use the model, the options and the prompts of the first run, or another --output": (
        "请用第一次运行时的模型、选项和 prompt，或者换一个 --output"
    ),
    # rows and columns
    "--type {} matches no call and no operation": "--type {} 没有匹配到任何调用或运算",
    "--only {} matches no call": "--only {} 没有匹配到任何调用",
    "{} is not a column": "{} 不是列名",
    "--columns names no column": "--columns 没有写列名",
    "{} holds no {}": "{!t} 里没有 {}",
    "the trace": "跟踪结果",
    "measure it: gptrace run --columns {} -o FILE.json": (
        "运行时就要测量：gptrace run --columns {} -o FILE.json"
    ),
    "{} is no way to show a report": "{} 不是显示选项",
    "it must be a number of at least 0": "必须是不小于 0 的数",
}
# Messages of Typer, which reads the command line. Its first letter is made small.
PARSER: dict[str, str] = {
    "no such option: {}": "没有选项 {}",
    "no such option: {} (Possible options: {})": "没有选项 {}（是不是想写：{}）",
    "no such command {}": "没有命令 {}",
    "no such command {}. Did you mean {}?": "没有命令 {}，是不是想写 {}？",
    "missing command": "没有写命令",
    "missing argument {}": "缺少参数 {}",
    "missing option {}": "缺少选项 {}",
    "missing parameter: {}": "缺少参数 {}",
    "argument {} takes {} values": "参数 {} 要有 {} 个值",
    "option {} requires an argument": "选项 {} 后面要有一个值",
    "option {} requires {} arguments": "选项 {} 后面要有 {} 个值",
    "option {} does not take a value": "选项 {} 不带值",
    "got unexpected extra argument(s) ({})": "多了参数（{}）",
    "invalid value for {}: {}": "{} 的值无效：{}",
    "invalid value: {}": "值无效：{}",
}
