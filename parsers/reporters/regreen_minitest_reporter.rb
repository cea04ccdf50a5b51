# Regreen's reporter for minitest: what happens, as numbered JSON records (see
# parsers/src/records/mod.rs and parsers/src/minitest/mod.rs).
module RegreenMinitest
  class Reporter
    SETUP = %w[setup before_setup after_setup before]
    TEARDOWN = %w[teardown before_teardown after_teardown after]

    def initialize(writer)
      @writer = writer
      @running = {}
      @tests = @passed = @failed = @skipped = 0
      @writer.write("session", :version => 1, :runner => "minitest #{Minitest::VERSION}", :cwd => Dir.pwd)
    end

    def start
    end

    def passed?
      true
    end

    def prerecord(klass, name)
      t = @running["#{klass.name}##{name}"] = (@tests += 1)
      @writer.write("start", { :t => t }.merge(named(klass, klass.name, name)))
    rescue Exception
      nil
    end

    def record(result)
      owner = result.respond_to?(:klass) ? result.klass : result.class.name
      key = "#{owner}##{result.name}"
      # A worker process tells of its tests when they are over.
      prerecord(constant(owner), result.name) unless @running.key?(key)
      t = @running.delete(key) || return
      if result.skipped?
        @skipped += 1
        @writer.write("skip", :t => t, :why => result.failure.message, :ms => Regreen.ms(result.time))
      elsif result.failure.nil?
        @passed += 1
        @writer.write("pass", :t => t, :ms => Regreen.ms(result.time))
      else
        @failed += 1
        failed(t, result)
        @writer.write("end", :t => t, :ms => Regreen.ms(result.time))
      end
    rescue Exception
      nil
    end

    def report
      finish
    rescue Exception
      nil
    end

    # An exception that minitest does not catch (`exit` in a test) ends the run.
    def left(why)
      return if @finished
      words = why.is_a?(SystemExit) ? "left by exit with status #{why.status} in mid-test" : "#{why.class}: #{why.message}"
      kind = why.is_a?(NoMemoryError) ? "oom" : "crash"
      @running.each_value do |t|
        @failed += 1
        error = Regreen.error(why, :name => "", :message => words, :frames => Regreen.frames(inner(why.backtrace)))
        @writer.write("fail", :t => t, :phase => "call", :kind => kind, :error => error)
      end
      others = @running.empty?
      @running.clear
      finish unless others
    end

    private

    def finish
      return if @finished
      @finished = true
      # Only an interrupt ends the run in mid-test and still lets it report.
      @running.each_value { |t| @writer.write("skip", :t => t, :why => "interrupted") }
      @skipped += @running.size
      @running.clear
      @writer.write("finish", :records => @writer.number, :passed => @passed, :failed => @failed, :skipped => @skipped)
    end

    def constant(name)
      Object.const_get(name)
    rescue NameError
      Struct.new(:name).new(name)
    end

    def named(klass, owner, name)
      method = klass.instance_method(name) rescue nil
      defined = method && method.source_location
      # A test that comes from a module is run through the file of its class.
      file = Object.const_source_location(owner).first if Object.const_get(owner).equal?(klass) rescue nil
      file = nil if file && !File.file?(file)
      { :id => "#{owner}##{name}", :file => (file || (defined && defined[0])).to_s, :path => [owner, name] }
    end

    def failed(t, result)
      seen = {}
      result.failures.each do |failure|
        phase = phase_of(failure.backtrace)
        next if seen[phase]
        seen[phase] = true
        @writer.write("fail", :t => t, :open => true, :phase => phase, :at => at(result), :error => error(result, failure))
      end
    end

    def at(result)
      file, line = result.respond_to?(:source_location) ? result.source_location : result.method(result.name).source_location
      file && file != "unknown" ? [file, line, nil] : nil
    rescue StandardError
      nil
    end

    def error(result, failure)
      thrown = failure.respond_to?(:error) ? failure.error : failure
      text = "#{failure.result_label}:\n#{result.class_name}##{result.name}:\n#{failure.message}"
      named = thrown.equal?(failure) ? "Minitest::Assertion" : thrown.class.name.to_s
      frames = Regreen.frames(inner(failure.backtrace))
      Regreen.error(thrown, :name => named, :stack => text, :frames => frames)
    end

    # A backtrace without minitest's own steps at its outer end.
    def inner(backtrace)
      lines = Array(backtrace)
      last = lines.rindex { |line| !line.include?("/lib/minitest") && !line.include?("/regreen_minitest") }
      lines.first(last ? last + 1 : 0).first(Regreen::FRAMES)
    end

    def phase_of(backtrace)
      found = "call"
      Array(backtrace).each do |line|
        name = line[/:in [`'](.*)'\z/, 1].to_s.sub(/\Ablock (?:\(\d+ levels\) )?in /, "").sub(/\A[\w:]+[#.](?=\w+[?!]?\z)/, "")
        return "call" if name.start_with?("test_")
        found = "setup" if found == "call" && SETUP.include?(name)
        found = "teardown" if found == "call" && TEARDOWN.include?(name)
      end
      found
    end
  end
end
